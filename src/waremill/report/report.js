(function () {
  "use strict";
  var filter = document.getElementById("filter");
  if (!filter) { return; }
  var samples = Array.prototype.slice.call(document.querySelectorAll("article.sample"));
  var texts = samples.map(function (sample) { return sample.textContent.toLowerCase(); });
  var buttons = Array.prototype.slice.call(filter.querySelectorAll("button"));
  var target = document.getElementById("sample-target");
  var text = document.getElementById("sample-text");
  var none = document.getElementById("no-sample");
  var status = "";
  function show() {
    var wanted = text.value.trim().toLowerCase();
    var left = 0;
    samples.forEach(function (sample, place) {
      var fits = (!status || sample.dataset.status === status);
      fits = fits && (!target || !target.value || sample.dataset.target === target.value);
      fits = fits && (!wanted || texts[place].indexOf(wanted) !== -1);
      sample.hidden = !fits;
      left += fits ? 1 : 0;
    });
    none.hidden = left > 0;
  }
  buttons.forEach(function (button) {
    button.addEventListener("click", function () {
      status = button.dataset.status;
      buttons.forEach(function (other) {
        other.setAttribute("aria-pressed", other === button ? "true" : "false");
      });
      show();
    });
  });
  if (target) { target.addEventListener("change", show); }
  text.addEventListener("input", show);
  filter.hidden = false;
}());
