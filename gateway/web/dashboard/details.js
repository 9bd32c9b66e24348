/* Details: one row, whole and live, beside the table. */

import { make, setText } from "./dom.js";
import { cellText } from "./format.js";
import { Tree } from "./tree.js";

export class Details {
	/** @onClose  when somebody closes it */
	constructor(onClose) {
		this.row = null;
		this.title = make("h2", { id: "details-title" });
		this.close = make(
			"button",
			{ class: "quiet", title: "Close (Esc)", aria: { label: "Close the details" } },
			"✕",
		);
		this.close.addEventListener("click", () => onClose());
		this.gone = make("p", { class: "note", hidden: true }, "This row was removed.");
		this.place = make("div", { class: "details-tree" });
		this.element = make(
			"section",
			{ class: "details", hidden: true, aria: { labelledby: "details-title" } },
			make("div", { class: "details-head" }, this.title, this.close),
			this.gone,
			this.place,
		);
		this.element.addEventListener("keydown", (event) => {
			if (event.key !== "Escape") return;
			event.stopPropagation();
			onClose();
		});
	}

	open(row, takeFocus) {
		if (this.row?.key !== row.key) {
			this.tree = new Tree("The row");
			this.place.replaceChildren(this.tree.element);
		}
		this.row = row;
		this.element.hidden = false;
		setText(this.title, cellText(row.value.name ?? row.key.split("\n").at(-1)));
		this.draw();
		if (takeFocus) this.close.focus();
	}

	draw() {
		if (this.row === null) return;
		this.gone.hidden = this.row.live;
		this.tree.show(this.row.value, this.row.region ?? "row");
	}

	hide() {
		this.row = null;
		this.element.hidden = true;
	}
}
