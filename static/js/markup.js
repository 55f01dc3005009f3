/** Text for Plotly, which draws a subset of HTML in every text. */

/** Names and causes as plain text: without markup, links included.
 * @param {string} text */
export const escaped = (text) => text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
