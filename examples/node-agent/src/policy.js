// What of the dashboard's policies opossum can change while it runs, and in which unit it has it.

/** @type {Record<string, { option: string, factor: number, low: number, high: number, right: string }>} */
const FIELDS = {
  timeout: { option: "timeout", factor: 1000, low: 0.001, high: 3600, right: "seconds from 0.001 to 3600" },
  timeout_duration: { option: "resetTimeout", factor: 1000, low: 0.001, high: 86_400, right: "seconds from 0.001 to 86400" },
  failure_rate_threshold: { option: "errorThresholdPercentage", factor: 100, low: 0.001, high: 1, right: "a share from 0.001 to 1" },
};

/** The fields that take effect: the dashboard marks the others in its editor. */
export const honoured = Object.keys(FIELDS);

/** What the code declares, in the dashboard's words. @param {any} breaker */
export function declared(breaker) {
  const { options } = breaker;
  return {
    timeout: options.timeout ? options.timeout / 1000 : null,
    timeout_duration: options.resetTimeout / 1000,
    failure_rate_threshold: options.errorThresholdPercentage / 100,
    failure_threshold: null,
    success_threshold: 1,
    half_open_max_calls: 1,
    window_type: "time",
    window_size: Math.max(1, Math.round(options.rollingCountTimeout / 1000)),
    minimum_calls: Math.max(1, breaker.volumeThreshold),
  };
}

/** What is wrong with some fields, or an empty string. @param {Record<string, unknown>} fields */
export function problem(fields) {
  for (const [name, value] of Object.entries(fields)) {
    const field = FIELDS[name];
    if (!field) return `${name} cannot be changed in opossum while it runs`;
    if (name === "timeout" && value === null) continue;
    if (typeof value !== "number" || !(value >= field.low && value <= field.high)) {
      return `${name} is ${JSON.stringify(value)}; it must be ${field.right}`;
    }
  }
  return "";
}

/** @param {any} breaker @param {Record<string, any>} fields */
export function apply(breaker, fields) {
  for (const [name, { option, factor }] of Object.entries(FIELDS)) {
    breaker.options[option] = fields[name] === null ? false : fields[name] * factor;
  }
}
