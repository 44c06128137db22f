"""Views of history: each a pure fold plus its tables; rebuilt at any time, asked as of any time."""
