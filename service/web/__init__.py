"""The pages: server-rendered, no build step, nothing from elsewhere."""
