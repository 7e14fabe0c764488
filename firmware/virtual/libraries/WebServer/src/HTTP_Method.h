#pragma once

typedef enum {
  HTTP_DELETE,
  HTTP_GET,
  HTTP_HEAD,
  HTTP_POST,
  HTTP_PUT,
  HTTP_OPTIONS,
  HTTP_PATCH,
  HTTP_ANY = 255
} http_method;
typedef http_method HTTPMethod;
