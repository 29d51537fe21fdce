"""The operations, one file each: a function `(picture, options, tools)` marked `@operation`."""
