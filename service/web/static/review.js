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

  async function decide(path, decision) {
    const body = { decision, reviewer: reviewer.value, reason: reason.value };
    if (flagged.checked && decision === "approve" && !path.includes("/rules/")) body.include_flagged = true;
    localStorage.setItem(remembered, reviewer.value);
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "If-Match": review.dataset.etag },
      body: JSON.stringify(body),
    });
    if (answer.ok) {
      location.reload();
      return;
    }
    const found = await answer.json();
    problem.textContent = `${found.title}: ${found.detail}`;
    problem.scrollIntoView({ block: "center" });
  }

  for (const button of document.querySelectorAll("[data-decision]")) {
    button.addEventListener("click", () => {
      const path = button.closest("[data-path]").dataset.path;
      button.disabled = true;
      decide(path, button.dataset.decision)
        .catch((error) => { problem.textContent = String(error); })
        .finally(() => { button.disabled = false; });
    });
  }
})();
