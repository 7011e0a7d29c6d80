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

// Make "Try it out" leave a form field empty if the field has no example. By default, the Swagger UI fills in "string".
// Also show a text input for a text that contains JSON. By default, the Swagger UI shows a file input.
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
