/** A page as the server renders it now; null where the dashboard cannot be reached or refuses, which
 * the connection indicator shows. @param {string} address @returns {Promise<Document | null>} */
export async function freshPage(address) {
  const answer = await fetch(address).catch(() => null);
  if (!answer?.ok) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}
