//! Recipes: what blobs are made of that do not travel as themselves.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::MAX_INTEGER;
use crate::digest::BlobKey;
use crate::limits::MAX_BLOB;
use crate::segment::Line;

/// How a blob is made of others, one line of a recipe segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Always [`Kind::Recipe`].
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The blob that it makes.
    pub blob: BlobKey,
    /// That blob's size in bytes.
    pub size: u64,
    /// The blobs that it consists of, one after the other: two or more.
    pub concat: Vec<Piece>,
}

/// The type that lines of recipe segments have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A recipe.
    Recipe,
}

/// A part of a blob, which travels as a blob itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// Which.
    pub blob: BlobKey,
    /// Its size in bytes, at least 1.
    pub size: u64,
}

impl Line for Recipe {
    fn key(&self) -> [String; 6] {
        let empty = String::new;
        ["recipe".to_owned(), self.blob.hex(), empty(), empty(), empty(), empty()]
    }

    fn label(&self) -> String {
        format!("recipe of {}", self.blob)
    }

    fn validate(&self) -> Result<(), String> {
        if self.concat.len() < 2 {
            return Err("a blob that is not in pieces needs no recipe".to_owned());
        }
        let mut size = 0_u64;
        for piece in &self.concat {
            if piece.size == 0 || piece.size > MAX_BLOB || piece.blob == self.blob {
                return Err(format!("{} cannot be a piece of it", piece.blob));
            }
            size = size.saturating_add(piece.size);
        }
        if size != self.size || size > MAX_INTEGER {
            return Err(format!("its pieces have {size} bytes, and it has {}", self.size));
        }
        Ok(())
    }

    fn beyond(value: &Value) -> Option<String> {
        value.get("encoded").map(|encoded| {
            let id = encoded.get("id").and_then(Value::as_str).unwrap_or_default();
            format!("it is encoded ({id:?}), which this version cannot undo")
        })
    }
}
