//! Asks the API server whose token this is, and what its user may do.

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

use crate::error::Error;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It authenticates a user that may get the page.
    Allowed,
    /// It authenticates a user that may not.
    Denied,
    /// It authenticates nobody.
    Unauthenticated,
}

/// Asks about tokens. It needs the right to create TokenReviews and SubjectAccessReviews.
#[derive(Clone)]
pub struct AccessReviews {
    tokens: Api<TokenReview>,
    accesses: Api<SubjectAccessReview>,
}

impl AccessReviews {
    /// Asks with this client.
    pub fn new(client: Client) -> Self {
        Self { tokens: Api::all(client.clone()), accesses: Api::all(client) }
    }

    /// Whether the user of a token may get a page.
    ///
    /// # Errors
    /// If the API server did not say.
    pub async fn review(&self, token: &str, page: &str) -> Result<Access, Error> {
        let Some(user) = self.user(token).await? else { return Ok(Access::Unauthenticated) };
        let review = SubjectAccessReview { spec: may_get(user, page), ..SubjectAccessReview::default() };
        let review = self.accesses.create(&PostParams::default(), &review).await;
        let review = review.map_err(|error| Error::new("create SubjectAccessReviews", error))?;
        match review.status.is_some_and(|status| status.allowed) {
            true => Ok(Access::Allowed),
            false => Ok(Access::Denied),
        }
    }

    /// Whose token it is. Without an audience, it must be one for the API server.
    async fn user(&self, token: &str) -> Result<Option<UserInfo>, Error> {
        let spec = TokenReviewSpec { token: Some(token.to_owned()), ..TokenReviewSpec::default() };
        let review = TokenReview { spec, ..TokenReview::default() };
        let review = self.tokens.create(&PostParams::default(), &review).await;
        let review = review.map_err(|error| Error::new("create TokenReviews", error))?;
        let status = review.status.filter(|status| status.authenticated == Some(true));
        Ok(status.and_then(|status| status.user))
    }
}

fn may_get(user: UserInfo, page: &str) -> SubjectAccessReviewSpec {
    let attributes = NonResourceAttributes { path: Some(page.to_owned()), verb: Some("get".to_owned()) };
    SubjectAccessReviewSpec {
        extra: user.extra,
        groups: user.groups,
        non_resource_attributes: Some(attributes),
        uid: user.uid,
        user: user.username,
        ..SubjectAccessReviewSpec::default()
    }
}
