"""Gates: what must hold before a deploy touches anything, asked by itself."""
