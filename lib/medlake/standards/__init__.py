"""Room of the other side: the open zone in the field's own formats, and standard views over what came in."""
