"""The operators' shell tools: ConfigTool, TailLog, TailStatus, SessionTool."""
