"use strict";

const { account } = document.getElementById("swagger-ui").dataset;

const ours = ({ React }) => ({
  components: {
    // Swagger UI's own logo brings an inline style, which the policy of the page does not allow.
    Logo: () => React.createElement("span", { style: { whiteSpace: "nowrap" } }, document.title),
  },
  wrapComponents: {
    // Whoever opens the page for the first time has no account yet.
    authorizeBtn: (Original) => (props) =>
      React.createElement(
        React.Fragment,
        null,
        React.createElement("p", { style: { margin: "auto 1em" } }, account),
        React.createElement(Original, props),
      ),
  },
  statePlugins: {
    // Another document starts afresh: a body written for the one before would only be refused.
    oas3: { reducers: { spec_update_url: (state) => state.clear() } },
    layout: {
      reducers: {
        // The first document keeps what a link to one of its calls has opened.
        spec_update_url: (state) =>
          state.has("loaded") ? state.delete("shown") : state.set("loaded", true),
      },
    },
  },
});

// The documents to choose from are links in the head of the page (RFC 8631).
const links = document.querySelectorAll('link[rel="service-desc"]');

SwaggerUIBundle({
  dom_id: "#swagger-ui",
  urls: Array.from(links, ({ title, href }) => ({ name: title, url: href })),
  layout: "StandaloneLayout",
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  plugins: [ours],
  deepLinking: true,
  displayRequestDuration: true,
  // The badge would ask a server on the internet.
  validatorUrl: null,
  // What the Authorize dialog holds, and no cookies; nor may a 401 make the browser ask for more.
  requestInterceptor: (request) => Object.assign(request, { credentials: "omit" }),
});
