/** A minute of calls and errors as two areas of an SVG. */

const WIDTH = 118;
const HEIGHT = 28;

/** @param {number[]} values @param {number} top */
function area(values, top) {
  let path = "";
  const step = WIDTH / (values.length - 1);
  let any = false;
  for (let i = 0; i < values.length; i += 1) {
    if (values[i]) any = true;
    path += `${i ? "L" : ""}${Math.round(i * step)} ${Math.round(HEIGHT - (values[i] / top) * 26)}`;
  }
  return any ? `M0 ${HEIGHT}L${path}L${WIDTH} ${HEIGHT}Z` : "";
}

/** @param {Element} calls @param {Element} errors @param {number[]} spark @param {number[]} failed */
export function drawSpark(calls, errors, spark, failed) {
  let top = 1;
  for (const each of spark) if (each > top) top = each;
  calls.setAttribute("d", spark.length ? area(spark, top) : "");
  errors.setAttribute("d", failed.length ? area(failed, top) : "");
}
