"""Whether ScaledObjects do what their authors think: rules over what was read."""
