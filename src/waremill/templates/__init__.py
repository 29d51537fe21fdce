"""Templates: versioned prompts as data. Load, lint, render, and read replies by contract.

Text in, messages out: this room opens no files, calls no model and runs no checks beyond the output
contract. Product data enters as values only and can never become template code.
"""

from waremill.templates.contract import Contract
from waremill.templates.document import Problem
from waremill.templates.examples import Example
from waremill.templates.fields import Field, fold, means_nothing, parse_number
from waremill.templates.layout import prompt_text, render_prompt
from waremill.templates.lint import check_template
from waremill.templates.load import load_template, template_names
from waremill.templates.template import NO_EXTRAS, Extras, Input, Prompt, Template
from waremill.templates.values import write_value

__all__ = [
    "NO_EXTRAS",
    "Contract",
    "Example",
    "Extras",
    "Field",
    "Input",
    "Problem",
    "Prompt",
    "Template",
    "check_template",
    "fold",
    "load_template",
    "means_nothing",
    "parse_number",
    "prompt_text",
    "render_prompt",
    "template_names",
    "write_value",
]
