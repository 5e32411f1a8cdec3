// Sends decisions as JSON with the ETag that this page was rendered from, so that nobody decides
// about something that changed meanwhile. Answers are shown as text, never as HTML.
"use strict";

(() => {
  const review = document.getElementById("review");
  if (review === null) return;
  const reviewer = document.getElementById("reviewer");
  const reason = document.getElementById("reason");
  const flagged = document.getElementById("include-flagged");
  const problem = document.getElementById("problem");
  const remembered = "portolan.reviewer";
  reviewer.value = localStorage.getItem(remembered) ?? "";

  function decision(button) {
    const body = { decision: button.dataset.decision, reviewer: reviewer.value, reason: reason.value };
    const whole = !button.closest("[data-path]").dataset.path.includes("/rules/");
    if (flagged.checked && body.decision === "approve" && whole) body.include_flagged = true;
    return body;
  }

  function verdict(button) {
    const own = button.closest("[data-path]").querySelector(".reason");
    return { verdict: button.dataset.verdict, reviewer: reviewer.value, reason: own.value };
  }

  const boxes = [...document.querySelectorAll("input.select")];
  const all = document.getElementById("all");
  const chosen = () => boxes.filter((box) => box.checked);

  function count() {
    document.getElementById("selected").textContent = `${chosen().length} selected`;
  }

  function many(button) {
    const entries = chosen().map((box) => {
      const article = box.closest("[data-etag]");
      return { id: box.dataset.id, etag: article.dataset.etag };
    });
    const shared = button.closest("[data-path]").querySelector(".reason");
    return { verdict: button.dataset.many, reviewer: reviewer.value, reason: shared.value, entries };
  }

  async function send(button, body) {
    const holder = button.closest("[data-path]");
    const complaint = holder.querySelector("[role=alert]") ?? problem;
    localStorage.setItem(remembered, reviewer.value);
    const answer = await fetch(holder.dataset.path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "If-Match": holder.dataset.etag ?? review.dataset.etag ?? "*" },
      body: JSON.stringify(body),
    });
    if (answer.ok) {
      location.reload();
      return;
    }
    const found = await answer.json();
    complaint.textContent = `${found.title}: ${found.detail}`;
    complaint.scrollIntoView({ block: "center" });
  }

  if (all !== null) {
    all.addEventListener("change", () => {
      for (const box of boxes) box.checked = all.checked;
      count();
    });
    for (const box of boxes) box.addEventListener("change", count);
    for (const button of document.querySelectorAll("[data-many]")) {
      button.addEventListener("click", () => {
        const body = many(button);
        const said = `${button.dataset.many}: ${body.entries.length} of ${boxes.length} entries on this page?`;
        if (body.entries.length === 0) {
          problem.textContent = "Select entries first.";
        } else if (window.confirm(said)) {
          button.disabled = true;
          send(button, body)
            .catch((error) => { problem.textContent = String(error); })
            .finally(() => { button.disabled = false; });
        }
      });
    }
  }

  for (const button of document.querySelectorAll("[data-decision], [data-verdict]")) {
    button.addEventListener("click", () => {
      button.disabled = true;
      send(button, button.dataset.verdict ? verdict(button) : decision(button))
        .catch((error) => { problem.textContent = String(error); })
        .finally(() => { button.disabled = false; });
    });
  }
})();
