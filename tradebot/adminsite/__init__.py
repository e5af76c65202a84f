"""What the admin pages of all apps share. Each app registers its own models."""
