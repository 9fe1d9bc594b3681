"""A whole Hearth plugin in Python."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.guest import Failure_BadInput, Failure_Unsupported
from wit_world.imports.documents import Field
from wit_world.imports.model import (
    Message,
    Options,
    Part_Literal,
    Part_Value,
    Role,
    Style,
    Weights,
    generate,
)
from wit_world.imports.panel import Node_Heading, Node_Value, show
from wit_world.imports.types import Error_Denied


def refusal(error):
    """What the host refused ends the call, in words for the user."""
    if isinstance(error, Error_Denied):
        power = error.value.name.lower().replace("_", " ")
        return f"it is not allowed to use the {power}"
    return f"the host refused a request: {type(error).__name__}"


class Guest(exports.Guest):
    def run(self, command, focus, input):
        if focus is None:
            raise Err(Failure_BadInput("choose a note first"))
        try:
            # `body` is a promise. It can go to the model and to a panel; this code never sees what it says.
            body = focus.get(Field.BODY)
            rules = "You write haiku: three lines of five, seven and five syllables."
            request = [Part_Literal("Write a haiku about this note.\n\n"), Part_Value(body)]
            prompt = [
                Message(Role.SYSTEM, [Part_Literal(rules)]),
                Message(Role.USER, request),
            ]
            haiku = generate(prompt, Options(60, Style.EXACT, Weights.BASE, []))
            show("haiku", [Node_Heading("Your haiku"), Node_Value(haiku)])
        except Err as error:
            raise Err(Failure_BadInput(refusal(error.value)))

    def on_event(self, panel, event):
        raise Err(Failure_Unsupported())

    def migrate(self, from_version):
        pass
