"""Steps over pictures: what every operation of `images/` needs to become a step.

A picture is a field's value like any other: a reference to a stored file. Steps read a picture from
the field or attribute that `image` names and write the reference of what they made to `into`. The
heavy libraries are imported when a step is built; without them that is a ConfigError.
"""
