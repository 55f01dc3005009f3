/** Long names: shortened in the middle, since names often differ at their ends. */

/** @param {string} name @param {number} most characters */
export function shortened(name, most) {
  if (name.length <= most) return name;
  const head = Math.max(1, Math.ceil((most - 1) * 0.6));
  const tail = Math.max(0, most - 1 - head);
  return `${name.slice(0, head)}…${tail ? name.slice(-tail) : ""}`;
}
