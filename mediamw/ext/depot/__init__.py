"""DEPOT's interface over mediamw's storages: in what is imported ``mediamw.ext.depot`` takes the place of ``depot``.

The modules are called as DEPOT's are. Where files lie (``io``) DEPOT's directories and buckets are read and written as
they are: nothing has to be moved, and DEPOT itself could go on with them.
"""
