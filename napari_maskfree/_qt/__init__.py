"""Qt widgets of the plugin: one panel a file, no engine and no layers logic in them."""
