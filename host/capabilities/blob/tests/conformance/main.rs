//! What every backend of `nexus:blob` promises, as named cases run on each: the folder, and S3 as
//! `s3s-fs` speaks it on a loopback port of this process. Where `s3s-fs` falls short of S3, the
//! case asserts what it does today and says so.

mod backend;
mod bytes_alive;
mod crash;
mod door;
mod listing;
mod objects;
mod ranges;
mod signed;
mod uploads;

/// Runs each case on each backend, as a test of its own.
macro_rules! suite {
    ($($module:ident: $($case:ident),+;)+) => {
        mod folder {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$module::$case(crate::backend::Backend::folder().await).await;
                }
            )+ })+
        }
        mod s3 {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$module::$case(crate::backend::Backend::s3().await).await;
                }
            )+ })+
        }
    };
}

suite! {
    objects:
        an_object_comes_back_as_it_was_put,
        an_object_keeps_only_what_was_put_last,
        what_was_never_put_is_no_such_key,
        buckets_do_not_see_each_other,
        a_condition_decides_whether_a_put_happens,
        of_many_puts_if_absent_one_wins,
        bytes_that_do_not_match_their_checksum_are_not_stored,
        a_body_of_another_size_than_declared_is_not_stored,
        a_body_that_breaks_off_stores_nothing,
        a_put_that_is_cancelled_stores_nothing,
        a_put_beyond_the_limit_is_too_large,
        attributes_against_the_rules_are_refused,
        keys_of_every_shape_are_kept_apart,
        the_longest_key_is_as_good_as_any,
        a_key_may_also_be_the_folder_of_another,
        damaged_bytes_are_never_passed_off_as_the_object,
        a_reading_goes_on_after_the_object_was_replaced,
        a_copy_has_the_bytes_and_its_own_life,
        a_copy_may_change_its_attributes,
        a_copy_of_what_has_changed_is_refused,
        a_copy_too_large_for_one_request_is_made_of_parts,
        deleting_removes_and_only_that;
    ranges:
        a_range_is_the_slice_it_names,
        random_ranges_equal_the_slice,
        a_range_outside_is_not_satisfiable,
        pieces_of_one_etag_belong_together;
    listing:
        keys_are_listed_in_the_order_of_their_bytes,
        a_listing_says_what_head_says,
        a_prefix_need_not_end_at_a_slash,
        a_delimiter_rolls_up_what_is_below_it,
        pages_of_any_size_make_the_same_listing,
        a_listing_against_the_rules_is_refused;
    uploads:
        parts_become_one_object,
        a_part_may_be_sent_again,
        parts_are_listed_by_number,
        an_upload_is_completed_with_the_parts_that_arrived,
        only_the_last_part_may_be_small,
        a_completed_or_aborted_upload_is_gone,
        an_upload_belongs_to_its_key,
        a_condition_decides_whether_an_upload_becomes_visible,
        a_part_of_unknown_size_has_a_limit_and_one_of_known_size_another,
        a_part_that_does_not_match_what_was_said_is_refused;
    bytes_alive:
        a_large_put_and_a_large_get_hold_few_bytes,
        a_large_part_holds_few_bytes;
    signed:
        a_signed_url_downloads_also_in_pieces,
        a_signed_url_names_the_file,
        a_signed_url_uploads_what_was_agreed,
        a_signed_url_uploads_parts,
        a_changed_url_opens_nothing,
        an_expired_url_opens_nothing,
        a_url_lives_at_most_a_week;
}
