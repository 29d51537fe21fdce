"""The console: one module a page, drawn with NiceGUI. What it shows comes from the application."""
