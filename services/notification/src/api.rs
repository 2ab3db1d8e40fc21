//! The notification service's handlers.

use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::{Json, Router};
use shop_contract::Role;
use shop_contract::events::Envelope;
use shop_contract::notification::{NewNotification, NotificationList};
use shop_contract::operation::notification as operations;
use shop_kit::auth::{Caller, Service};
use shop_kit::events::Subscriber;
use shop_kit::openapi::Routes;
use shop_kit::problem::{ApiError, Body};
use shop_kit::{Kit, events, server};

use crate::message::Message;
use crate::subscriber::Writer;

#[derive(Clone)]
struct App {
    kit: Kit,
    writer: Writer,
}

impl FromRef<App> for Kit {
    fn from_ref(app: &App) -> Kit {
        app.kit.clone()
    }
}

/// The API, with the server stack around it.
pub fn router(kit: &Kit, writer: Writer) -> Router {
    let app = App {
        kit: kit.clone(),
        writer,
    };
    let routes = Routes::of(Role::Notification, app)
        .on(&operations::LIST, list)
        .on(&operations::SEND, send)
        .on(&operations::EVENT, take_event)
        .finish();
    server::stack(kit, routes)
}

async fn list(
    State(app): State<App>,
    Caller(claims): Caller,
) -> Result<Json<NotificationList>, ApiError> {
    let items = app.writer.notifications().of_user(&claims.sub).await?;
    Ok(Json(NotificationList { items }))
}

async fn send(
    State(app): State<App>,
    _: Service,
    Body(new): Body<NewNotification>,
) -> Result<StatusCode, ApiError> {
    if new.key.is_empty() || new.user_id.is_empty() || new.subject.is_empty() {
        return Err(ApiError::invalid(
            "`key`, `user_id` and `subject` are needed",
        ));
    }
    let message = Message::direct(new);
    let new = app.writer.notifications().keep(&message).await?;
    Ok(if new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    })
}

async fn take_event(
    State(app): State<App>,
    _: Service,
    Body(envelope): Body<Envelope>,
) -> Result<StatusCode, ApiError> {
    events::receive(&app.kit, &envelope, app.writer.handle(&envelope)).await
}
