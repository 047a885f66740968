//! Faults that we plant ourselves, to see that the checker finds them, and by which promise.
