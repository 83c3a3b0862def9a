//! An auditor trusts `tar`, `sha256sum` and `openssl` alone.

use std::fs;

use super::command::{bounded, run};
use super::outside::{self, Lockfile};

#[test]
fn the_recipe_accepts_a_real_bundle_and_no_other() {
    let specification = include_str!("../../bundle-format/SPEC.md");
    let (_, recipe) = specification.split_once("```bash\n").unwrap();
    let (recipe, _) = recipe.split_once("```\n").unwrap();
    let key = run(outside::aftk_behind(&[]).args(["key", "show", "--json"])).succeeded().json();
    let audit = |bundle| {
        let directory = tempfile::tempdir_in(outside::directory()).unwrap();
        fs::write(directory.path().join("key.pem"), key["pem"].as_str().unwrap()).unwrap();
        let mut bash = bounded(&[], "bash");
        bash.args(["-c", recipe]).current_dir(directory.path()).env("bundle", bundle).env("key", "key.pem");
        run(bash.env("id", key["id"].as_str().unwrap()))
    };
    let bundle = outside::collected(Lockfile::Bare).bundle();
    let said = audit(bundle.clone()).succeeded().stdout;
    assert_eq!(said.matches("Signature Verified Successfully").count(), 2, "{said}");

    let mut bytes = fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let flipped = outside::directory().join("flipped.aftk.tar");
    fs::write(&flipped, bytes).unwrap();
    assert_ne!(audit(flipped.clone()).code, Some(0));
    run(outside::aftk_behind(&[]).arg("verify").arg(&flipped)).ended(3).complained("hint:");
}
