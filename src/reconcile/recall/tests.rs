//! Lines of a journal, and what a state gets back from them.
