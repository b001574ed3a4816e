//! What functions do with their arguments, by name, over all dialects.

/// What matters of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One value out of many rows.
    Aggregate,
    /// The first argument chooses.
    Choice,
    /// One argument is a unit of time, which looks like a column.
    DateUnit,
    /// Takes a lambda.
    HigherOrder,
    /// ClickHouse's dictionaries: the first argument is a table.
    Dictionary,
    Plain,
}

/// By name, in any case.
pub(super) fn kind(name: &str) -> Kind {
    let mut buffer = [0_u8; 40];
    let Some(lower) = buffer.get_mut(..name.len()) else { return Kind::Plain };
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    let Ok(lower) = std::str::from_utf8(lower) else { return Kind::Plain };
    match lower {
        "sum"
        | "count"
        | "avg"
        | "min"
        | "max"
        | "mean"
        | "median"
        | "mode"
        | "stddev"
        | "stddev_pop"
        | "stddev_samp"
        | "stdev"
        | "stdevp"
        | "variance"
        | "var"
        | "varp"
        | "var_pop"
        | "var_samp"
        | "corr"
        | "covar_pop"
        | "covar_samp"
        | "regr_slope"
        | "regr_intercept"
        | "regr_count"
        | "regr_r2"
        | "array_agg"
        | "string_agg"
        | "listagg"
        | "group_concat"
        | "json_agg"
        | "jsonb_agg"
        | "json_object_agg"
        | "jsonb_object_agg"
        | "json_arrayagg"
        | "json_objectagg"
        | "object_agg"
        | "xmlagg"
        | "collect_list"
        | "collect_set"
        | "any_value"
        | "arbitrary"
        | "first"
        | "last"
        | "approx_count_distinct"
        | "approx_distinct"
        | "approx_percentile"
        | "approx_quantiles"
        | "approx_top_count"
        | "percentile"
        | "percentile_cont"
        | "percentile_disc"
        | "percentile_approx"
        | "quantile"
        | "quantiles"
        | "uniq"
        | "uniqexact"
        | "uniqcombined"
        | "grouparray"
        | "groupuniqarray"
        | "argmin"
        | "argmax"
        | "arg_min"
        | "arg_max"
        | "min_by"
        | "max_by"
        | "bool_and"
        | "bool_or"
        | "every"
        | "logical_and"
        | "logical_or"
        | "bit_and"
        | "bit_or"
        | "bit_xor"
        | "count_if"
        | "countif"
        | "sumif"
        | "sum_if"
        | "avgif"
        | "anylast"
        | "histogram"
        | "kurtosis"
        | "skewness"
        | "hll"
        | "ndv"
        | "count_big"
        | "checksum_agg"
        | "map_agg"
        | "multimap_agg"
        | "boolor_agg"
        | "booland_agg"
        | "product"
        | "list"
        | "string_agg_distinct" => Kind::Aggregate,
        "if" | "iff" | "iif" | "nvl2" | "decode" | "multiif" => Kind::Choice,
        "dateadd" | "datediff" | "datepart" | "datename" | "date_part" | "date_trunc" | "datetrunc"
        | "timestampadd" | "timestampdiff" | "timestamp_trunc" | "datetime_trunc" | "time_trunc" | "date_diff"
        | "timestamp_diff" | "datetime_diff" | "time_diff" | "last_day" | "time_slice" | "date_bucket"
        | "datediff_big" | "timeadd" | "timediff" | "date_add" | "date_sub" | "trunc" | "datetime_add" | "age" => {
            Kind::DateUnit
        }
        "transform" | "filter" | "reduce" | "aggregate" | "exists" | "forall" | "any_match" | "all_match"
        | "none_match" | "zip_with" | "map_filter" | "map_zip_with" | "transform_keys" | "transform_values"
        | "array_sort" | "list_transform" | "list_filter" | "list_reduce" | "arraymap" | "arrayfilter"
        | "arrayexists" | "arrayall" | "arrayfold" | "arrayreduce" | "arraysum" | "arraycount" | "arrayfirst"
        | "list_apply" | "array_transform" | "apply" | "array_filter" => Kind::HigherOrder,
        "dictget" | "dictgetordefault" | "dictgetornull" | "dicthas" | "dictgetstring" | "dictgetuint64"
        | "dictgetint64" | "dictgetfloat64" | "dictgetdate" | "joinget" | "dictgethierarchy" | "dictisin" => {
            Kind::Dictionary
        }
        _ => Kind::Plain,
    }
}

/// Units of time and parts of dates, in the spellings of all dialects.
pub(super) fn is_date_unit(name: &str) -> bool {
    let mut buffer = [0_u8; 20];
    let Some(lower) = buffer.get_mut(..name.len()) else { return false };
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    let Ok(lower) = std::str::from_utf8(lower) else { return false };
    matches!(
        lower,
        "year"
            | "years"
            | "yyyy"
            | "yy"
            | "y"
            | "quarter"
            | "quarters"
            | "qq"
            | "q"
            | "month"
            | "months"
            | "mm"
            | "mon"
            | "m"
            | "week"
            | "weeks"
            | "ww"
            | "wk"
            | "w"
            | "isoweek"
            | "isoyear"
            | "weekiso"
            | "day"
            | "days"
            | "dd"
            | "d"
            | "dayofweek"
            | "dayofyear"
            | "weekday"
            | "dy"
            | "dw"
            | "doy"
            | "dow"
            | "isodow"
            | "hour"
            | "hours"
            | "hh"
            | "h"
            | "minute"
            | "minutes"
            | "mi"
            | "n"
            | "second"
            | "seconds"
            | "ss"
            | "s"
            | "millisecond"
            | "milliseconds"
            | "ms"
            | "microsecond"
            | "microseconds"
            | "mcs"
            | "us"
            | "nanosecond"
            | "nanoseconds"
            | "ns"
            | "epoch"
            | "century"
            | "decade"
            | "millennium"
            | "date"
            | "time"
            | "yr"
            | "hr"
            | "min"
            | "sec"
            | "usec"
            | "epoch_second"
            | "epoch_millisecond"
            | "yearofweek"
            | "yearofweekiso"
            | "dayofweekiso"
            | "dayofweek_iso"
    )
}
