//! The pages, one file for each thing that a creator comes for. A page's functions are its `GET`,
//! which shows, and its `POST`s, which ask a service to do something and go on to a `GET`.

mod episodes;
mod missing;
mod overview;
mod posters;
mod row;
mod rows;
mod steps;
mod title;
mod title_form;
mod titles;
mod upload;
mod video;
mod video_orders;
mod videos;

use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .merge(overview::router())
        .merge(upload::router())
        .merge(videos::router())
        .merge(video::router())
        .merge(video_orders::router())
        .merge(posters::router())
        .merge(titles::router())
        .merge(title::router())
        .merge(steps::router())
        .merge(episodes::router())
        .merge(rows::router())
        .merge(row::router())
        .merge(missing::router())
}
