//! Who twine uploads as: its variables, `.pypirc`, which other uploaders read too, and netrc.

use url::Url;
use zeroize::Zeroizing;

use super::credentials::accounts;
use crate::ecosystem::CollectContext;
use crate::net::Credential;
use crate::problem::Problem;

/// The largest `.pypirc` that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The account for the index that uploads go to at `url`; `None` if nobody said any.
///
/// # Errors
/// If a file is there and cannot be read.
pub(super) async fn account(url: &Url, context: &dyn CollectContext) -> Result<Option<Credential>, Problem> {
    let password = context.environment("TWINE_PASSWORD").map(Zeroizing::new);
    if let (Some(user), Some(password)) = (context.environment("TWINE_USERNAME"), password) {
        return Ok(Some(Credential::basic(url, &user, &password)));
    }
    if let Some(home) = context.home_directory()
        && let Some(bytes) = context.read(&home.join(".pypirc"), LARGEST).await?
    {
        let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
        if let Some(found) = find(&text, url) {
            return Ok(Some(found));
        }
    }
    let accounts = accounts(context).await?;
    Ok(accounts.iter().find(|account| account.is_for(url)).map(|account| account.credential(url)))
}

/// The account of the section for this address, whatever name that has.
fn find(text: &str, url: &Url) -> Option<Credential> {
    let same = |written: &str| {
        Url::parse(written).is_ok_and(|written| {
            let path = |url: &Url| url.path().trim_end_matches('/').to_owned();
            written.origin() == url.origin() && path(&written) == path(url)
        })
    };
    let sections = text.split("\n[").filter_map(|section| {
        let option = |name: &str| {
            section.lines().find_map(|line| {
                let (key, value) = line.split_once(['=', ':'])?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        same(option("repository")?).then(|| (option("username"), option("password")))
    });
    let (user, password) = sections.into_iter().find(|(_, password)| password.is_some())?;
    Some(Credential::basic(url, user.unwrap_or("__token__"), password?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_for_an_address_says_the_account() {
        let text = "[distutils]\nindex-servers = corp\n    other\n\n[corp]\nrepository = https://index.example.test/up\n\
            username: ada\npassword = a:b=c\n[other]\nrepository: https://index.example.test:444/up/\npassword=token\n\
            [none]\nrepository = https://index.example.test/none\n";
        let shown = |text: &str, address: &str| {
            let url = Url::parse(address).unwrap();
            find(text, &url).map(|one| one.for_url(&url).unwrap().to_owned())
        };
        let ada = Some("Basic YWRhOmE6Yj1j".to_owned());
        assert_eq!(shown(text, "https://index.example.test/up/"), ada);
        assert_eq!(shown(text, "https://index.example.test/up"), ada);
        assert_eq!(
            shown(text, "https://index.example.test:444/up"),
            Some("Basic X190b2tlbl9fOnRva2Vu".to_owned())
        );
        for other in [
            "https://index.example.test/",
            "http://index.example.test/up/",
            "https://index.example.test/none",
        ] {
            assert_eq!(shown(text, other), None, "{other}");
        }
        assert_eq!(shown("", "https://index.example.test/up/"), None);
    }
}
