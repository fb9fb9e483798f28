# Makes limma.json: the empirical-Bayes fit of limma itself (Debian's r-bioc-limma).
#   Rscript make.R > limma.json
suppressMessages(library(limma))
set.seed(20261127)
draw <- function(k, f, d0, s2) s2 * d0 / rchisq(k, d0) * rchisq(k, f) / f
cases <- list(
  "ten arms, five seeds" = list(draw(10, 4, 3, 1e-6), rep(4, 10)),
  "four arms, three seeds" = list(draw(4, 2, 2, 0.5), rep(2, 4)),
  "unequal numbers" = list(draw(12, 5, 4, 3), c(4, 4, 4, 2, 2, 7, 7, 7, 4, 4, 9, 2)),
  "hardly differing" = list(c(1.01, 1.02, 0.99, 1.0, 0.98), rep(4, 5)),
  "many arms" = list(draw(60, 4, 8, 0.02), rep(4, 60)),
  "one is zero" = list(c(0, draw(9, 4, 3, 1e-6)), rep(4, 10))
)
text <- function(x) paste0("[", paste(ifelse(is.infinite(x), "null", format(x, digits = 17)), collapse = ", "), "]")
lines <- character()
for (name in names(cases)) {
  s2 <- cases[[name]][[1]]; f <- cases[[name]][[2]]
  fit <- suppressWarnings(squeezeVar(s2, f))
  lines <- c(lines, sprintf(
    '  "%s": {"variances": %s, "dfs": %s, "prior_df": %s, "prior_variance": %s, "moderated": %s}',
    name, text(s2), text(f), text(fit$df.prior[1]), text(fit$var.prior[1]), text(fit$var.post)
  ))
}
cat("{\n  \"limma\": \"", as.character(packageVersion("limma")), "\",\n", paste(lines, collapse = ",\n"), "\n}\n", sep = "")
