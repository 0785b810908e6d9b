"""People with an avatar and a name, and the devices that keep the avatars."""
