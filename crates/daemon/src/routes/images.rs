//! Images.

use std::sync::Arc;

use api::progress::Message;
use engine::ops::image as ops;
use http::StatusCode;
use image::remote::{Progress, Step};
use tokio::sync::mpsc;

use super::Daemon;
use crate::answer::{Answer, empty, json, json_list, progress, with_type};
use crate::body::{Body, BodyWriter};
use crate::convert;
use crate::convert::registry::platforms;
use crate::error::{Error, Result};
use crate::request::Request;

/// `GET /images/json`.
pub fn list(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    let filters = convert::filters(&request.query)?;
    let mut images = ops::list(&daemon.engine, &filters)?;
    if request.query.flag("shared-size") {
        ops::measure(&daemon.engine, &mut images);
    }
    json_list(
        images
            .iter()
            .map(|view| convert::images::summary(view, request.version)),
    )
}

/// `GET /images/{name}/json`.
pub async fn inspect(daemon: &Arc<Daemon>, request: &Request, name: &str) -> Result<Answer> {
    let platforms = platforms(request, "platform", 49)?;
    if request.query.flag("manifests") && !platforms.is_empty() {
        let text = "conflicting options: manifests and platform options cannot both be set";
        return Err(Error::Invalid(text.to_owned()));
    }
    let image = ops::inspect(&daemon.engine, name, platforms.first()).await?;
    json(&convert::images::inspect(&image, request.version))
}

/// `GET /images/{name}/history`.
pub async fn history(daemon: &Arc<Daemon>, request: &Request, name: &str) -> Result<Answer> {
    let platforms = platforms(request, "platform", 48)?;
    json(&convert::images::history(
        &*ops::inspect(&daemon.engine, name, platforms.first()).await?,
    ))
}

/// `POST /images/{name}/tag`.
pub async fn tag(daemon: &Arc<Daemon>, request: &Request, name: &str) -> Result<Answer> {
    let target = convert::images::reference(request.query.text("repo"), request.query.text("tag"))?;
    ops::tag(&daemon.engine, name, target).await?;
    Ok(empty(StatusCode::CREATED))
}

/// `DELETE /images/{name}`.
pub async fn remove(daemon: &Arc<Daemon>, request: &Request, name: &str) -> Result<Answer> {
    let how = ops::Remove {
        force: request.query.flag("force"),
        no_prune: request.query.flag("noprune"),
        platforms: platforms(request, "platforms", 50)?,
    };
    let removed = ops::remove(&daemon.engine, name, how).await?;
    json(
        &removed
            .into_iter()
            .map(convert::images::removed)
            .collect::<Vec<_>>(),
    )
}

/// `POST /images/load`: what fails after the head is told inside the stream.
pub fn load(daemon: &Arc<Daemon>, request: Request) -> Result<Answer> {
    let platforms = platforms(&request, "platform", 48)?;
    let engine = daemon.engine.clone();
    let (sender, body) = Body::stream();
    let (tell, mut told) = mpsc::unbounded_channel();
    let reader = Box::new(request.reader());
    tokio::spawn(async move {
        let loading =
            tokio::spawn(async move { ops::load(&engine, reader, platforms, tell).await });
        let mut silent = true;
        while let Some(loaded) = told.recv().await {
            silent = false;
            // A client that has gone does not stop what is being stored.
            drop(
                sender
                    .send(progress(&convert::images::loaded(&loaded)))
                    .await,
            );
        }
        let last = match loading.await {
            Ok(Err(error)) => Message::error(error.to_string()),
            // Nothing in it was for the platform that was asked for: an answer has at least one message.
            Ok(Ok(())) if silent => Message::default(),
            _ => return,
        };
        drop(sender.send(progress(&last)).await);
    });
    Ok(with_type(StatusCode::OK, "application/json", body).into())
}

/// `POST /corten/images/fsck`.
pub async fn fsck(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    let report = ops::fsck(&daemon.engine, request.query.flag("repair")).await?;
    json(&convert::images::report(report))
}

/// `GET /images/get` and `GET /images/{name}/get`.
pub async fn save(daemon: &Arc<Daemon>, request: &Request, names: Vec<String>) -> Result<Answer> {
    let what = (names, platforms(request, "platform", 48)?);
    let (sender, body) = Body::stream();
    let end = ops::save(&daemon.engine, what, Box::new(BodyWriter(sender))).await?;
    tokio::spawn(async move {
        // The head has been sent: an archive that ends early is all the client can be told.
        if let Ok(Err(error)) = end.await {
            tracing::error!("save images: {error}");
        }
    });
    Ok(with_type(StatusCode::OK, "application/x-tar", body).into())
}

/// `POST /images/create`: pull, or import of the body.
pub async fn create(daemon: &Arc<Daemon>, request: Request) -> Result<Answer> {
    if !request.query.text("fromImage").is_empty() {
        let what = convert::registry::pull(&request)?;
        let (engine, (progress, steps)) = (daemon.engine.clone(), Progress::new());
        return follow(
            async move { ops::pull(&engine, what, progress).await },
            steps,
        )
        .await;
    }
    if request.query.text("fromSrc") != "-" {
        return Err(Error::NotImplemented("fromSrc with a URL".to_owned()));
    }
    let import = convert::images::import(&request.query)?;
    let (engine, reader) = (daemon.engine.clone(), Box::new(request.reader()));
    let (sender, body) = Body::stream();
    tokio::spawn(async move {
        let message = match ops::import(&engine, reader, import).await {
            Ok(image) => Message::status(image.id.to_string()),
            Err(error) => Message::error(error.to_string()),
        };
        // The client may have gone in the meantime.
        drop(sender.send(progress(&message)).await);
    });
    Ok(with_type(StatusCode::OK, "application/json", body).into())
}

/// `POST /images/{name}/push`.
pub async fn push(daemon: &Arc<Daemon>, request: &Request, name: &str) -> Result<Answer> {
    let what = convert::registry::push(request, name)?;
    let (engine, (progress, steps)) = (daemon.engine.clone(), Progress::new());
    follow(
        async move { ops::push(&engine, what, progress).await },
        steps,
    )
    .await
}

/// Tells how a pull or a push goes on. What fails before the first word is an answer of its own; a client that goes away
/// cancels the work.
async fn follow(
    work: impl Future<Output = engine::Result<()>> + Send + 'static,
    mut steps: mpsc::UnboundedReceiver<Step>,
) -> Result<Answer> {
    let work = tokio::spawn(work);
    let Some(first) = steps.recv().await else {
        ended(work).await?;
        return Ok(empty(StatusCode::OK));
    };
    let mut next = Some(first);
    let (sender, body) = Body::stream();
    tokio::spawn(async move {
        while let Some(step) = next {
            let message = convert::registry::message(&step);
            if sender.send(progress(&message)).await.is_err() {
                return;
            }
            next = tokio::select! {
                next = steps.recv() => next,
                () = sender.closed() => return,
            };
        }
        if let Err(error) = ended(work).await {
            // The client may have gone in the meantime.
            drop(
                sender
                    .send(progress(&Message::error(error.to_string())))
                    .await,
            );
        }
    });
    Ok(with_type(StatusCode::OK, "application/json", body).into())
}

async fn ended(work: tokio::task::JoinHandle<engine::Result<()>>) -> Result<()> {
    match work.await {
        Ok(done) => Ok(done?),
        Err(error) => Err(Error::Internal(format!("internal error: {error}"))),
    }
}
