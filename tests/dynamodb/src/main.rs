//! `sealwax-dynamodb ADDRESS` serves the DynamoDB API from memory until it is killed.
//!
//! The engine is the embedded store's, so conditions and transactions are atomic across however
//! many control planes ask, which those of moto are not. What it adds is a meter: every call is
//! asked for the capacity it consumes, and `GET /units` tells the sums by operation. And it refuses
//! on command, in AWS's words: `POST /refuse` with `{"__type":…,"message":…}` answers every further
//! call with that and status 400, until an empty body takes it back.

mod engine;
mod meter;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use dynoxide::Database;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use meter::Meter;

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).context("usage: sealwax-dynamodb ADDRESS")?;
    let listener = TcpListener::bind(&address).await?;
    let served = Arc::new(Served {
        database: Database::memory()?,
        meter: Meter::default(),
        refusal: Mutex::default(),
    });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let served = Arc::clone(&served);
        let answer = service_fn(move |request| answer(Arc::clone(&served), request));
        // How a connection ends is its client's affair.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

struct Served {
    database: Database,
    meter: Meter,
    refusal: Mutex<Bytes>,
}

async fn answer(
    served: Arc<Served>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        return Ok(json(200, served.meter.told()));
    }
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation =
        target.and_then(|target| target.rsplit('.').next()).unwrap_or_default().to_owned();
    let command = request.uri().path() == "/refuse";
    let Ok(body) = request.into_body().collect().await else {
        return Ok(json(400, "{}".to_owned()));
    };
    let body = body.to_bytes();
    {
        let mut refusal = served.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        if command {
            *refusal = body;
            return Ok(json(200, "{}".to_owned()));
        }
        if !refusal.is_empty() {
            return Ok(json(400, String::from_utf8_lossy(&refusal).into_owned()));
        }
    }
    let work = move || {
        let metered = meter::asking(&body);
        match engine::call(&served.database, &operation, &metered) {
            Ok(answer) => {
                served.meter.count(&operation, &answer);
                (200, answer)
            }
            Err(error) => (error.status_code(), error.to_json()),
        }
    };
    let (status, answer) = tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| (500, format!("{{\"message\":\"{error}\"}}")));
    Ok(json(status, answer))
}

fn json(status: u16, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status.try_into().unwrap_or_default();
    let kind = hyper::header::HeaderValue::from_static("application/x-amz-json-1.0");
    response.headers_mut().insert("content-type", kind);
    response
}
