// Lights the paths of the error to what is chosen in the drawing, folds all steps at once, copies formulas as LaTeX.
{
  const explore = (root, drawing) => {
    const panel = root.querySelector(".panel");
    const invitation = panel.textContent;
    const edges = [...drawing.querySelectorAll(".edge")];
    const nodes = new Map([...drawing.querySelectorAll(".node")].map((node) => [node.dataset.node, node]));
    const leaving = new Map(edges.map((edge) => [edge.dataset.from, []]));
    for (const edge of edges) leaving.get(edge.dataset.from).push(edge);

    // An arrow against the direction of the forward pass: the way the error takes.
    const marker = document.createElementNS(drawing.namespaceURI, "marker");
    const head = document.createElementNS(drawing.namespaceURI, "path");
    marker.id = drawing.querySelector("title").id + "-back";
    const place = { viewBox: "0 0 8 8", refX: "7", refY: "4", markerWidth: "9", markerHeight: "9" };
    const manner = { markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" };
    for (const [name, value] of Object.entries({ ...place, ...manner })) marker.setAttribute(name, value);
    head.setAttribute("d", "M0,0 L8,4 L0,8 Z");
    head.setAttribute("class", "back");
    marker.append(head);
    drawing.prepend(marker);

    const clear = () => {
      for (const lit of drawing.querySelectorAll(".lit, .chosen")) {
        lit.classList.remove("lit", "chosen");
        lit.removeAttribute("aria-current");
        lit.querySelector(".line")?.removeAttribute("marker-start");
      }
      drawing.classList.remove("choosing");
      panel.classList.remove("told");
      panel.textContent = invitation;
    };

    const light = (edge) => {
      edge.classList.add("lit");
      edge.querySelector(".line").setAttribute("marker-start", `url(#${marker.id})`);
    };

    // All edges on a way from the node to the error; the error comes back along them.
    const lightFrom = (start) => {
      const seen = new Set([start]);
      for (const key of seen) {
        nodes.get(key).classList.add("lit");
        for (const edge of leaving.get(key) ?? []) {
          light(edge);
          seen.add(edge.dataset.to);
        }
      }
    };

    // What stands for all components of a quantity, told by the place of its step.
    const whole = (id) => id.replace(/step-(\d+)$/, "choice-$1");

    const tell = (choice) => {
      panel.classList.add("told");
      const name = document.createElement("strong");
      name.textContent = choice.getAttribute("aria-label");
      panel.replaceChildren(name);
      const own = choice.dataset.own?.split(" ");
      for (const shown of own ?? choice.dataset.results.split(" ").map(whole)) {
        const told = document.getElementById(shown).cloneNode(true);
        const equation = told.querySelector(".equation");
        const id = told.dataset.step;
        panel.append(...told.children);
        // Of layers that are alike only some steps stand on the page.
        if (document.getElementById(id) === null) continue;
        const link = document.createElement("a");
        link.href = `#${id}`;
        link.append(...equation.querySelector(".number").childNodes);
        equation.querySelector(".number").append(link);
      }
    };

    const choose = (choice) => {
      const again = choice.classList.contains("chosen");
      clear();
      if (again) return;
      drawing.classList.add("choosing");
      choice.classList.add("chosen");
      choice.setAttribute("aria-current", "true");
      if (choice.classList.contains("edge")) light(choice);
      lightFrom(choice.dataset.to ?? choice.dataset.node);
      tell(choice);
    };

    drawing.addEventListener("click", (event) => {
      const choice = event.target.closest(".choice");
      if (choice === null) return clear();
      event.preventDefault();
      choose(choice);
    });
    drawing.addEventListener("keydown", (event) => {
      if (event.key === "Escape") clear();
      if (event.key !== " ") return;
      event.preventDefault();
      choose(event.target.closest(".choice"));
    });
  };

  const foldable = (root) => {
    const folds = [...root.querySelectorAll("details.group")];
    const folding = root.querySelector(".folding");
    const button = document.createElement("button");
    const label = () => {
      button.textContent = folds.some((fold) => fold.open) ? folding.dataset.fold : folding.dataset.unfold;
    };
    if (folding !== null) {
      button.type = "button";
      button.addEventListener("click", () => {
        const open = folds.some((fold) => fold.open);
        for (const fold of folds) fold.open = !open;
      });
      for (const fold of folds) fold.addEventListener("toggle", label);
      label();
      folding.append(button);
    }

    // Printed is all; what was folded is folded again afterwards.
    let folded = [];
    addEventListener("beforeprint", () => {
      folded = folds.filter((fold) => !fold.open);
      for (const fold of folded) fold.open = true;
    });
    addEventListener("afterprint", () => {
      for (const fold of folded) fold.open = false;
    });
  };

  // Moves one component of a parameter, and holds what E does against the derivative times the move.
  const probe = (section) => {
    const { step, digits, components } = JSON.parse(section.dataset.probe);
    const [select, slider, output] = ["select", "input", "output"].map((name) => section.querySelector(name));
    const shown = (value) => (value === null ? "–" : String(Number(value.toPrecision(digits))));
    const middle = (components[0].changes.length - 1) / 2;
    const tell = () => {
      const { value, slope, changes } = components[select.selectedIndex];
      const move = Number(slider.value) * step;
      const change = changes[Number(slider.value) + middle];
      const lines = [
        `w = ${shown(value)} → ${shown(value + move)}`,
        `Δw = ${shown(move)}`,
        `ΔE = ${shown(change)}`,
        `g·Δw = ${shown(slope)}·${0 > move ? `(${shown(move)})` : shown(move)} = ${shown(slope * move)}`,
        `ΔE − g·Δw = ${shown(change === null ? null : change - slope * move)}`,
      ];
      output.replaceChildren(...lines.flatMap((line) => [line, document.createElement("br")]));
    };
    slider.min = -middle;
    slider.max = middle;
    slider.value = 1;
    select.addEventListener("change", tell);
    slider.addEventListener("input", tell);
    section.hidden = false;
    tell();
  };

  // What a link leads to is unfolded.
  const unfold = () => {
    const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = place?.closest("details.group");
    if (fold === null || fold === undefined || fold.open) return;
    fold.open = true;
    place.scrollIntoView();
  };

  const copyable = (root) => {
    const words = root.querySelector("[data-copy]").dataset;
    for (const equation of root.querySelectorAll(".step .equation")) {
      const found = [...equation.querySelectorAll("annotation")].map((each) => each.textContent);
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "LaTeX";
      button.title = words.copy;
      button.setAttribute("aria-label", words.copy);
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(found.join("\n"));
        button.textContent = words.copied;
        setTimeout(() => { button.textContent = "LaTeX"; }, 1500);
      });
      equation.querySelector(".formula").after(button);
    }
  };

  addEventListener("hashchange", unfold);
  for (const root of document.querySelectorAll(".symbackprop:not(.ready)")) {
    root.classList.add("ready");
    const drawing = root.querySelector("figure svg.nn");
    if (drawing !== null) explore(root, drawing);
    foldable(root);
    root.querySelectorAll(".probe").forEach(probe);
    copyable(root);
  }
  unfold();
}
