"""The export folder, copied and cleaned into export_data/."""
