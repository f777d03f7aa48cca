// What each user of `stockctl load` does, run by k6. __PLAN__ is put in by script.py.
import http from "k6/http";
import exec from "k6/execution";
import { sleep } from "k6";

const plan = __PLAN__;
export const options = Object.assign(plan.options, {
  scenarios: { users: { executor: "ramping-vus", startVUs: 0, stages: plan.stages,
                        gracefulRampDown: "10s", gracefulStop: "10s" } },
});

let values = null;

function fill(text) {
  return text.replace(/\{\{([a-z][a-z0-9_]*)\}\}|\{([a-z][a-z0-9_]*)\}/g, (all, kept, name) =>
    kept ? "{" + kept + "}" : name in values ? String(values[name]) : all);
}

function fillDeep(value) {
  if (typeof value === "string") {
    const whole = /^\{([a-z][a-z0-9_]*)\}$/.exec(value);
    return whole && whole[1] in values ? values[whole[1]] : fill(value);
  }
  if (Array.isArray(value)) return value.map(fillDeep);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fillDeep(each)]));
  }
  return value;
}

function find(document, path) {
  let at = document;
  for (const [, index, key] of path.replace(/^\$/, "").matchAll(/\[(-?[0-9]+)\]|([^.\[\]]+)/g)) {
    if (at === null || at === undefined) return undefined;
    at = key !== undefined ? at[key] : at[index < 0 ? at.length + Number(index) : Number(index)];
  }
  return at;
}

function capture(check, answer) {
  for (const [name, source] of Object.entries(check.capture)) {
    const [kind, where] = [source.slice(0, source.indexOf(":")), source.slice(source.indexOf(":") + 1)];
    let found;
    if (kind === "json") { try { found = find(answer.json(), where); } catch { found = undefined; } }
    else if (kind === "header") {
      const name = Object.keys(answer.headers).find((each) => each.toLowerCase() === where.toLowerCase());
      found = name && answer.headers[name];
    } else { const m = new RegExp(where).exec(answer.body || ""); found = m ? m[1] || m[0] : undefined; }
    if (found === undefined) return false;
    values[name] = found;
  }
  return true;
}

function send(check) {
  const headers = {};
  for (const [name, value] of Object.entries(check.headers)) headers[name] = fill(value);
  let body = null;
  if (check.json !== null) {
    body = JSON.stringify(fillDeep(check.json));
    headers["Content-Type"] = headers["Content-Type"] || "application/json";
  } else if (check.form !== null) body = fillDeep(check.form);
  const path = check.path.replace(/\{([a-z][a-z0-9_]*)\}/g, (all, name) =>
    name in values ? encodeURIComponent(String(values[name])) : all);
  return http.request(check.method, plan.url + path, body, {
    headers, redirects: 0, timeout: check.timeout, tags: { name: check.name },
    responseCallback: http.expectedStatuses(...check.status),
  });
}

export default function () {
  if (values === null) {
    values = { run: plan.run + "-" + exec.vu.idInTest, n: 1 };
    for (const check of plan.once) {
      const answer = send(check);
      if (!check.status.includes(answer.status) || !capture(check, answer)) {
        values = null;
        sleep(plan.pause);
        return;
      }
    }
  }
  for (const check of plan.rounds) send(check);
  sleep(plan.pause * (0.5 + Math.random()));
}

export function handleSummary(data) {
  return { stdout: JSON.stringify(data.metrics) };
}
