// Show the description of the API. "Authorize" takes the Account SID and the Auth Token, or an API key.
"use strict";

SwaggerUIBundle({
  dom_id: "#docs",
  url: "openapi.json",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: -1,
  filter: true,
  plugins: [FormsOfTexts],
  // Otherwise the browser keeps the credentials, and shows its own login box after a 401.
  requestInterceptor: (request) => Object.assign(request, { credentials: "omit" }),
});

// "Try it out" fills in the examples of a form. By default it offers a file for a text that contains JSON, and it fills
// in "string" for a parameter without an example.
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
