//! Every file write passes here.
