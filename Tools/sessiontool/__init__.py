"""The commands of SessionTool; each module is imported when needed."""
