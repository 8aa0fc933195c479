"""What SessionTool can do, each room imported when one of its commands is given."""
