// Show the OpenAPI document in the Swagger UI. In the dialog "Authorize", people enter the Account SID and the Auth
// Token, or an API key.
"use strict";

SwaggerUIBundle({
  dom_id: "#docs",
  url: "openapi.json",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: -1,
  filter: true,
  plugins: [FormsOfTexts],
  // Without this option, the browser would keep the credentials. After a 401, the browser would show its own login box.
  requestInterceptor: (request) => Object.assign(request, { credentials: "omit" }),
});

// Let "Try it out" fill in only the examples of a form. By default, the Swagger UI shows a file input for a text that
// contains JSON, and fills in "string" for a parameter without an example.
function FormsOfTexts() {
  return {
    afterLoad() {
      const { getSampleSchema } = this.fn;
      const isOfForm = (schema, contentType) => contentType === false && !schema.has("examples");
      this.fn.isFileUploadIntended = () => false;
      this.fn.getSampleSchema = (schema, contentType, ...rest) =>
        isOfForm(schema, contentType) ? "" : getSampleSchema(schema, contentType, ...rest);
    },
  };
}
