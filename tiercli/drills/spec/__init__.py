"""What a drill is: its model, its files, whether it fits a catalog."""
