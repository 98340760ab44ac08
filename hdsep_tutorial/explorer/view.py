"""What every explorer is made of: controls, one picture that is drawn again, one sentence."""

import base64
import html
import io

import ipywidgets as widgets
from matplotlib.figure import Figure

BLUE, ORANGE, RED = "#0072B2", "#E69F00", "#D55E00"  # Okabe and Ito's, for all eyes
COLUMNS = 560  # of a picture
LATER = {"continuous_update": False}  # draw when a slider is let go


class View(widgets.VBox):
    """Controls, a picture and a sentence. A subclass draws `figure` and returns the sentence."""

    def __init__(self, controls: dict[str, widgets.Widget], height: float = 3.2) -> None:
        self.controls, self.figure, self.sentence = controls, Figure((10, height), 90), ""
        self._picture, self._text = widgets.Image(format="png"), widgets.HTML()
        self._picture.layout.max_width = "100%"
        row = widgets.HBox(list(controls.values()), layout={"flex_flow": "row wrap"})
        super().__init__([row, self._picture, self._text])
        for name, control in controls.items():
            control.description, control.layout.width = name, "360px"
            control.style.description_width = "90px"
            control.observe(lambda _: self.refresh(), "value")
        self.refresh()

    def draw(self) -> str:
        """Draw the figure anew and say in a sentence what is to be seen."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Draw and show; settings that cannot be keep the last picture and say why."""
        try:
            sentence, picture = self.draw(), io.BytesIO()
            self.figure.savefig(picture, format="png", pil_kwargs={"compress_level": 1})
            self._picture.value = picture.getvalue()
            self.say(sentence)
        except ValueError as error:
            self.say(f"Not drawn: {error}.")

    def say(self, sentence: str) -> None:
        """Put a sentence under the picture, which a screen reader announces."""
        self.sentence = sentence
        self._text.value = f'<p role="status">{html.escape(sentence)}</p>'

    def __getattr__(self, name: str) -> object:
        """Read a setting."""
        controls = self.__dict__.get("controls", {})
        if name not in controls:
            raise AttributeError(f"no setting {name!r}, expected one of {', '.join(controls)}")
        return controls[name].value

    def __setattr__(self, name: str, value: object) -> None:
        """Move a control."""
        if name in self.__dict__.get("controls", {}):
            self.controls[name].value = value
        else:
            super().__setattr__(name, value)

    def __repr__(self) -> str:
        return self.sentence

    def _repr_mimebundle_(self, **options) -> dict:
        """Add the picture and the sentence, for where the widget cannot live."""
        bundle = super()._repr_mimebundle_(**options) | {"text/plain": self.sentence}
        picture = base64.b64encode(self._picture.value).decode()
        return bundle | ({"image/png": picture} if picture else {})
