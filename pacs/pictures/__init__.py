"""Pictures of images: made, and kept for who asks again."""
